"""Lists what is damaged and what reads it: one subject for each kind of file that cspine reads."""

from benchmarks.fuzz import kept, scans, tables, trained
from benchmarks.fuzz.subject import Subject

SUBJECTS = {
    subject.name: subject
    for subject in (
        Subject("dicom", scans.make_dicom, scans.spoil_dicom, scans.read, 2.0),
        Subject("nifti", scans.make_nifti, scans.spoil_nifti, scans.read),
        Subject("nifti.gz", scans.make_nifti_gz, scans.spoil_nifti_gz, scans.read),
        Subject("zip", scans.make_zip, scans.spoil_zip, scans.read),
        Subject("mask", scans.make_mask, scans.spoil_nifti_gz, scans.read_mask),
        Subject("data tables", tables.make_data, tables.spoil, tables.read_data),
        Subject("data set", tables.make_data_set, tables.spoil_data_set, tables.read_data_set),
        Subject("scores", tables.make_scores, tables.spoil, tables.read_scores),
        Subject("manifest", trained.make_package, trained.spoil_manifest, trained.read_package),
        Subject("package", trained.make_package, trained.spoil_package, trained.read_package, 0.5),
        Subject("precision memory", trained.make_memory, trained.spoil_memory, trained.read_memory, 0.5),
        Subject("case.json", kept.make_case, kept.spoil_case, kept.read_case),
        Subject("run.json", kept.make_run, kept.spoil_run, kept.read_run),
        Subject("shares", kept.make_shares, kept.spoil_share, kept.read_shares),
        Subject("cache", kept.make_cache, kept.spoil_cache, kept.read_cache),
        Subject("memo", kept.make_memo, kept.spoil_memo, kept.read_memo),
        Subject("submission", kept.make_predicted, kept.spoil_predicted, kept.read_predicted),
        Subject("truth", tables.make_truth, tables.spoil_truth, tables.read_truth),
        Subject("graft truth", tables.make_graft_truth, tables.spoil_truth, tables.read_graft_truth),
        Subject("anatomy", trained.make_anatomy, trained.spoil_npz, trained.read_anatomy, 0.5),
        Subject("surfaces", trained.make_surfaces, trained.spoil_surfaces, trained.read_surfaces, 0.5),
        Subject("evaluation", tables.make_evaluation, tables.spoil_truth, tables.read_evaluation),
        Subject("training run", trained.make_run, trained.spoil_run, trained.read_run),
        Subject("checkpoint", trained.make_checkpoint, trained.spoil_npz, trained.read_checkpoint, 0.5),
        Subject("keras", trained.make_keras, trained.spoil_keras, trained.read_keras, 0.2),
    )
}
