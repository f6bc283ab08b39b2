"""Elements of a header that geometry, HU and identity rest on, by the names used here; codes."""

from typing import Any

TAGS = {
    "character_set": 0x00080005,
    "image_type": 0x00080008,
    "created_time": 0x00080013,
    "sop_class": 0x00080016,
    "sop_uid": 0x00080018,
    "acquisition_date": 0x00080022,
    "content_date": 0x00080023,
    "acquisition_datetime": 0x0008002A,
    "series_time": 0x00080031,
    "acquisition_time": 0x00080032,
    "content_time": 0x00080033,
    "modality": 0x00080060,
    "manufacturer": 0x00080070,
    "description": 0x0008103E,
    "model": 0x00081090,
    "irradiation_uid": 0x00083010,
    "frame_type": 0x00089007,
    "patient_name": 0x00100010,
    "patient_id": 0x00100020,
    "birth_date": 0x00100030,
    "sex": 0x00100040,
    "contrast": 0x00180010,
    "scan_options": 0x00180022,
    "thickness_mm": 0x00180050,
    "kvp": 0x00180060,
    "declared_step_mm": 0x00180088,
    "device_serial": 0x00181000,
    "protocol": 0x00181030,
    "trigger_ms": 0x00181060,
    "reconstruction_mm": 0x00181100,
    "tilt_deg": 0x00181120,
    "exposure_time_ms": 0x00181150,
    "tube_current_ma": 0x00181151,
    "exposure_mas": 0x00181152,
    "filter": 0x00181160,
    "kernel": 0x00181210,
    "patient_position": 0x00185100,
    "ctdivol_mgy": 0x00189345,
    "energy_kev": 0x0018937C,
    "study_uid": 0x0020000D,
    "series_uid": 0x0020000E,
    "series_number": 0x00200011,
    "acquisition_number": 0x00200012,
    "instance_number": 0x00200013,
    "position_mm": 0x00200032,
    "orientation": 0x00200037,
    "frame_of_reference_uid": 0x00200052,
    "temporal_position": 0x00200100,
    "images_in_acquisition": 0x00201002,
    "slice_location_mm": 0x00201041,
    "series_instances": 0x00201209,
    "comments": 0x00204000,
    "stack_id": 0x00209056,
    "temporal_index": 0x00209128,
    "cardiac_delay_ms": 0x00209153,
    "concatenation_uid": 0x00209161,
    "concatenation_part": 0x00209162,
    "concatenation_parts": 0x00209163,
    "cardiac_percent": 0x00209241,
    "respiratory_percent": 0x00209245,
    "samples": 0x00280002,
    "photometric": 0x00280004,
    "frames": 0x00280008,
    "rows": 0x00280010,
    "columns": 0x00280011,
    "spacing_mm": 0x00280030,
    "bits_allocated": 0x00280100,
    "bits_stored": 0x00280101,
    "high_bit": 0x00280102,
    "signed": 0x00280103,
    "padding": 0x00280120,
    "padding_limit": 0x00280121,
    "burned_in": 0x00280301,
    "intercept": 0x00281052,
    "modality_lut": 0x00283000,
    "slope": 0x00281053,
    "rescale_type": 0x00281054,
    "lossy": 0x00282110,
    "value_mapping": 0x00409096,
    "frame_reference_ms": 0x00541300,
    "frame_offsets": 0x7FE00001,
}


def code_item(value: str, scheme: str, meaning: str) -> Any:
    """Item of a code sequence, such as ``("109103", "DCM", "Modifying Equipment")`` (PS3.3, 8.8).

    Examples
    --------
    >>> code_item("109103", "DCM", "Modifying Equipment").CodeMeaning
    'Modifying Equipment'
    """
    from pydicom.dataset import Dataset

    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item
