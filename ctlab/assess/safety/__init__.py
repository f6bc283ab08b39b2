"""Safety: range of use, conformal risk, uncertainty, hidden information, a gallery of failures."""
