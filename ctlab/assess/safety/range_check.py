"""The range of use of a denoiser, under the name that this subpackage has always offered."""

from ctlab.ct.range_check import Applicability, check_applicability

__all__ = ["Applicability", "check_applicability"]
