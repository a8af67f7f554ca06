"""What type checkers and editors see of `__init__.py`."""

from privacy_report.audits.api import Audit as Audit
from privacy_report.audits.api import audit as audit
from privacy_report.audits.api import audit_file as audit_file
from privacy_report.audits.api import score as score
