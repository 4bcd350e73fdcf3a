import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from jinja2 import meta

from cspine.errors import DatasetError
from cspine.evaluation.comparing import (
    METRICS,
    compare,
    comparison_context,
    comparison_csv,
    comparison_html,
    comparison_json,
    comparison_table,
)
from cspine.evaluation.competition import competition_loss
from cspine.evaluation.metrics import auroc
from cspine.evaluation.page import template
from tests.evaluation.reports import scores

STRONG, WEAK = scores(studies=120, signal=3.0), scores(seed=1, studies=120)
COMPARISON = compare({"weak": WEAK, "strong": STRONG}, resamples=200)


def test_each_number_is_that_of_the_model_and_a_difference_that_of_both() -> None:
    weak, strong = COMPARISON.models

    for model, given in ((weak, WEAK), (strong, STRONG)):
        assert model.estimates["auroc_overall"].value == pytest.approx(auroc(given.truth[:, 0], given.scores[:, 0]))
        assert model.estimates["competition_loss_a"].value == pytest.approx(competition_loss(given.truth, given.scores).per_study)
    for metric, difference in strong.differences.items():
        assert difference.value == pytest.approx(strong.estimates[metric].value - weak.estimates[metric].value)
    assert weak.differences == {}


def test_a_difference_is_narrower_than_two_intervals_apart_would_say() -> None:
    near = replace(STRONG, scores=np.clip(STRONG.scores * 0.98 + 0.01, 0, 1))

    strong, close = compare({"strong": STRONG, "near": near}, resamples=200).models

    own, apart = close.estimates["competition_loss_b"], close.differences["competition_loss_b"]
    assert apart.high - apart.low < 0.3 * (own.high - own.low)
    assert strong.estimates["auroc_overall"] == close.estimates["auroc_overall"]


def test_a_model_that_is_better_differs_from_one_that_says_nothing() -> None:
    difference = COMPARISON.models[1].differences["mean_level_auroc"]

    assert difference.low > 0.1


def test_the_order_of_the_patients_does_not_matter() -> None:
    turned = STRONG.some(np.arange(len(STRONG))[::-1])

    same = compare({"one": STRONG, "other": turned}, resamples=20).models[1]

    assert all(d.value == d.low == d.high == 0 for d in same.differences.values())


def test_other_patients_are_refused() -> None:
    with pytest.raises(DatasetError, match=r"a has 120, b has 100, and 20 are in one of them only"):
        compare({"a": STRONG, "b": STRONG.some(np.arange(100))})


def test_other_labels_are_refused() -> None:
    with pytest.raises(DatasetError, match="other labels for some patients"):
        compare({"a": STRONG, "b": replace(STRONG, truth=~STRONG.truth)})


def test_files_hold_every_number() -> None:
    rows = list(csv.DictReader(io.StringIO(comparison_csv(COMPARISON))))
    data = json.loads(comparison_json(COMPARISON))

    assert [(row["model"], row["metric"]) for row in rows] == [(name, metric) for name in ("weak", "strong") for metric in METRICS]
    assert rows[0]["difference"] == ""
    assert float(rows[-1]["difference_low"]) <= float(rows[-1]["difference"]) <= float(rows[-1]["difference_high"])
    assert data["models"][1]["differences"]["ece_overall"]["value"] == pytest.approx(float(rows[-1]["difference"]), abs=1e-6)
    assert comparison_table(COMPARISON).splitlines()[2].startswith("strong")


def test_the_page_shows_both_and_its_template_is_given_what_it_documents() -> None:
    page = comparison_html(COMPARISON)
    environment = template("comparison.html").environment
    source = environment.loader.get_source(environment, "comparison.html")[0]

    used = meta.find_undeclared_variables(environment.parse(source)) | {"disclaimer"}

    assert page.count("<svg") == 6
    assert "Difference from weak" in page
    assert used == set(comparison_context(COMPARISON))
    assert comparison_html(compare({"alone": STRONG}, resamples=5)).count("<svg") == 3
