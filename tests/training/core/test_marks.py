import numpy as np

from cspine.training.core.marks import BOX_BIT, FRACTURE_BIT, boxed_cells, cell_levels, fractured_cells, pixel_levels


def test_cells_say_how_much_of_them_is_each_level() -> None:
    marks = np.zeros((16, 24), dtype=np.uint8)
    marks[0:8, 0:4] = 2
    marks[8:16, 16:24] = 7 + BOX_BIT
    marks[0, 23] = 8

    shares = cell_levels(marks)

    assert shares.shape == (2, 3, 8)
    np.testing.assert_allclose(shares.sum(axis=-1), 1)
    np.testing.assert_allclose(shares[0, 0, [0, 2]], 0.5)
    assert shares[1, 2, 7] == 1
    assert shares[0, 2, 0] == 1


def test_maps_know_c1_to_c7_and_nothing_else() -> None:
    marks = np.array([[0, 7, 8], [BOX_BIT, BOX_BIT + 3, 1]], dtype=np.uint8)

    np.testing.assert_array_equal(pixel_levels(marks), [[0, 7, 0], [0, 3, 1]])


def test_cells_say_how_much_of_them_is_boxed() -> None:
    marks = np.zeros((16, 8), dtype=np.uint8)
    marks[8:12, :] = BOX_BIT + 2
    marks[0:8] = 5

    np.testing.assert_array_equal(boxed_cells(marks), [[[0.0]], [[0.5]]])


def test_cells_say_whether_a_fracture_is_in_them() -> None:
    marks = np.zeros((24, 8), dtype=np.uint8)
    marks[8:16, 0] = FRACTURE_BIT + 2
    marks[16, :2] = FRACTURE_BIT + BOX_BIT
    marks[0:8] = BOX_BIT + 5

    np.testing.assert_allclose(fractured_cells(marks)[..., 0], [[0.0], [1.0], [2 / 64 / 0.1]], rtol=1e-6)
