"""Makes cases of a data set folder: labels, boxes, masks, folds; what is wrong with it has a name."""

from cspine.datasets.boxes import WorldBox as WorldBox
from cspine.datasets.boxes import box_in_world as box_in_world
from cspine.datasets.case import Case as Case
from cspine.datasets.case import Problem as Problem
from cspine.datasets.case import SliceBox as SliceBox
from cspine.datasets.checking import check_case as check_case
from cspine.datasets.checking import check_once as check_once
from cspine.datasets.checking import verified as verified
from cspine.datasets.checking import without as without
from cspine.datasets.dataset import KNOWN_BAD as KNOWN_BAD
from cspine.datasets.dataset import Dataset as Dataset
from cspine.datasets.dataset import read_dataset as read_dataset
from cspine.datasets.folds import FOLD_SEED as FOLD_SEED
from cspine.datasets.folds import FOLDS as FOLDS
from cspine.datasets.folds import folds as folds
from cspine.datasets.masks import load_mask as load_mask
from cspine.datasets.masks import mask_on as mask_on
from cspine.datasets.masks import read_mask as read_mask
from cspine.datasets.submission import SubmissionRow as SubmissionRow
from cspine.datasets.submission import submission_csv as submission_csv
from cspine.datasets.submission import submission_rows as submission_rows
from cspine.datasets.traits import Traits as Traits
from cspine.datasets.traits import traits as traits
