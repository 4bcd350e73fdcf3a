"""The door between training and service: a model package, its format and its store."""

from cspine.modelpack.calibration import OUTPUTS as OUTPUTS
from cspine.modelpack.calibration import Calibration as Calibration
from cspine.modelpack.manifest import AppearanceLimits as AppearanceLimits
from cspine.modelpack.manifest import LocaliserManifest as LocaliserManifest
from cspine.modelpack.manifest import Manifest as Manifest
from cspine.modelpack.manifest import NetworkFile as NetworkFile
from cspine.modelpack.manifest import OperatingPoint as OperatingPoint
from cspine.modelpack.manifest import PackageManifest as PackageManifest
from cspine.modelpack.manifest import QualityLimits as QualityLimits
from cspine.modelpack.manifest import SliceManifest as SliceManifest
from cspine.modelpack.manifest import TrainingData as TrainingData
from cspine.modelpack.manifest import TrainingFacts as TrainingFacts
from cspine.modelpack.manifest import VertebraManifest as VertebraManifest
from cspine.modelpack.pooling import PooledScores as PooledScores
from cspine.modelpack.pooling import pool_slices as pool_slices
from cspine.modelpack.store import DEFAULT_LOCALISER as DEFAULT_LOCALISER
from cspine.modelpack.store import DEFAULT_PACKAGE as DEFAULT_PACKAGE
from cspine.modelpack.store import Package as Package
from cspine.modelpack.store import Samples as Samples
from cspine.modelpack.store import is_shipped as is_shipped
from cspine.modelpack.store import load_any_package as load_any_package
from cspine.modelpack.store import load_localiser as load_localiser
from cspine.modelpack.store import load_package as load_package
from cspine.modelpack.store import shipped_packages as shipped_packages
from cspine.modelpack.store import write_package as write_package
from cspine.results import Figure as Figure
