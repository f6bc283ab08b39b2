"""How readers use advice or an overlay: changed answers, reliance, calibration, harm."""
