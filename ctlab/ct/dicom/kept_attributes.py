"""Which attributes de-identification keeps, which identify, and what fills the required ones."""

from typing import Any

_KEPT_TEXT = """
AcquisitionDate AcquisitionDateTime AcquisitionNumber AcquisitionTime
BeamLimitingDevicePositionSequence BitsAllocated BitsStored BodyPartExamined BurnedInAnnotation
CTDIvol Columns ContentDate ContentTime ConvolutionKernel DataCollectionDiameter
DimensionIndexPointer DistanceSourceToDetector DistanceSourceToPatient EstimatedDoseSaving
ExposedArea Exposure ExposureInuAs ExposureModulationType ExposureTime FilterType FocalSpots
FrameAcquisitionNumber FrameContentSequence FrameOfReferenceUID FrameType GantryDetectorTilt
GeneratorPower HighBit ImageOrientationPatient ImagePositionPatient ImageType InstanceNumber
LossyImageCompression LossyImageCompressionMethod LossyImageCompressionRatio Manufacturer
ManufacturerModelName Modality NumberOfFrames PatientBirthDate PatientID PatientName
PatientPosition PatientSex PerFrameFunctionalGroupsSequence PhotometricInterpretation
PixelAspectRatio PixelData PixelMeasuresSequence PixelPaddingRangeLimit PixelPaddingValue
PixelRepresentation PixelSpacing PixelValueTransformationSequence PlanarConfiguration
PlaneOrientationSequence PlanePositionSequence PositionReferenceIndicator PresentationLUTShape
ReconstructionAlgorithm ReconstructionDiameter ReconstructionFieldOfView ReferringPhysicianName
RescaleIntercept RescaleSlope RescaleType RevolutionTime RotationDirection Rows SOPClassUID
SOPInstanceUID SamplesPerPixel ScanOptions SeriesDate SeriesInstanceUID SeriesNumber SeriesTime
SharedFunctionalGroupsSequence SingleCollimationWidth SliceLocation SliceThickness
SpacingBetweenSlices SpecificCharacterSet SpiralPitchFactor StudyDate StudyID StudyInstanceUID
StudyTime TableFeedPerRotation TableHeight TableSpeed TotalCollimationWidth WindowCenter
WindowWidth XRayTubeCurrent XRayTubeCurrentInmA AccessionNumber KVP
"""
_ENHANCED_TEXT = """
AcquisitionType CTAcquisitionDetailsSequence CTAcquisitionTypeSequence CTExposureSequence
CTGeometrySequence CTImageFrameTypeSequence CTPositionSequence CTReconstructionSequence
CTTableDynamicsSequence CTXRayDetailsSequence CalciumScoringMassFactorDevice ConstantVolumeFlag
ContentQualification ConvolutionKernelGroup DataCollectionCenterPatient
DimensionIndexSequence DimensionIndexValues DimensionOrganizationSequence DimensionOrganizationUID
ExposureInmAs ExposureTimeInms FluoroscopyFlag FrameAcquisitionDateTime FrameAcquisitionDuration
FrameReferenceDateTime FrameVOILUTSequence FunctionalGroupPointer InStackPositionNumber
MultienergyCTAcquisition PixelPresentation ReconstructionAngle ReconstructionPixelSpacing
ReconstructionTargetCenterPatient TableFeedPerRotation TablePosition TemporalPositionIndex TubeAngle
VolumeBasedCalculationTechnique VolumetricProperties WaterEquivalentDiameter
IrradiationEventIdentificationSequence IrradiationEventUID
"""
KEPT = frozenset((_KEPT_TEXT + _ENHANCED_TEXT).split())
"""Keywords that stay (replaced, shifted or emptied where they identify)."""

FREE_TEXT = (
    *("ConvolutionKernel", "FilterType", "Manufacturer", "ManufacturerModelName"),
    *("PositionReferenceIndicator", "RescaleType"),
)
"""The attributes of free text that stay as they are: table E.1-1 has no action for any of them."""

EMPTIED = (
    "PatientBirthDate",
    "PatientSex",
    "ReferringPhysicianName",
    "AccessionNumber",
    "StudyID",
)
_TYPE_2_TEXT = """
PatientName PatientID PatientBirthDate PatientSex StudyDate StudyTime AccessionNumber
ReferringPhysicianName StudyID Manufacturer PositionReferenceIndicator SeriesNumber
"""
TYPE_2 = _TYPE_2_TEXT.split()
TYPE_2_CLASSIC = [
    "KVP",
    "AcquisitionNumber",
    "SliceThickness",
]
"""Attributes that must be there, empty where unknown; the latter in classic CT alone."""
HARMLESS: dict[str, Any] = {
    "ImageType": ["DERIVED", "SECONDARY", "AXIAL"],
    "Modality": "CT",
    "PhotometricInterpretation": "MONOCHROME2",
    "RescaleType": "HU",
    "FrameType": ["DERIVED", "PRIMARY", "VOLUME", "NONE"],
    "PixelPresentation": "MONOCHROME",
    "VolumetricProperties": "VOLUME",
    "VolumeBasedCalculationTechnique": "NONE",
    "AcquisitionType": "SPIRAL",
    "ConvolutionKernel": "REMOVED",
    "ReconstructionAlgorithm": "FILTER_BACK_PROJ",
    "ExposureModulationType": "NONE",
    "RotationDirection": "CW",
    "ManufacturerModelName": "REMOVED",
    "Manufacturer": "REMOVED",
}
"""What attributes that must have a value get where theirs identified somebody."""
ENHANCED_DUMMIES = {
    "PixelPresentation": "MONOCHROME",
    "VolumetricProperties": "VOLUME",
    "VolumeBasedCalculationTechnique": "NONE",
    "DeviceSerialNumber": "REMOVED",
    "SoftwareVersions": "REMOVED",
    "ManufacturerModelName": "REMOVED",
    "Manufacturer": "REMOVED",
    "ContentQualification": "RESEARCH",
    "PresentationLUTShape": "IDENTITY",
    "LossyImageCompression": "00",
    "BurnedInAnnotation": "NO",
}
"""Attributes that enhanced CT must have (PS3.3, C.7.5.2 and C.8.15.2), and what they get."""

TOP_ONLY = {*EMPTIED, "PatientName", "PatientID"}
VOCABULARY = {
    *("Modality", "ImageType", "FrameType", "PatientPosition", "PhotometricInterpretation"),
}
"""Attributes whose words the standard gives: a short name is there by chance."""
_GEOMETRY_TEXT = """
BitsAllocated BitsStored Columns HighBit ImageOrientationPatient ImagePositionPatient
InstanceNumber NumberOfFrames PixelAspectRatio PixelPaddingRangeLimit PixelPaddingValue
PixelRepresentation PixelSpacing PlanarConfiguration RescaleIntercept RescaleSlope Rows
SamplesPerPixel SliceLocation SliceThickness
"""
GEOMETRY = set(_GEOMETRY_TEXT.split())
"""Numbers on which pixels, HU or places rest: like digits are there by chance."""

_STANDARD_TEXT = """
ORIGINAL DERIVED PRIMARY SECONDARY AXIAL LOCALIZER VOLUME NONE MPR MIXED CT HELIX SPIRAL SEQUENCED
MONOCHROME MONOCHROME1 MONOCHROME2 MAXIMUM MINIMUM MEAN RESAMPLED HFS FFS HFP FFP HFDR FFDR HU US
YES NO IDENTITY SAMPLED DISTORTED RESEARCH PRODUCT SERVICE STANDARD BONE LUNG SOFT DETAIL EDGE SHARP
SMOOTH CHEST BRAIN BODY HEAD SIEMENS PHILIPS TOSHIBA CANON HITACHI GE MEDICAL SYSTEMS HEALTHCARE
HEALTHINEERS LIGHTSPEED SENSATION SOMATOM BRILLIANCE AQUILION REVOLUTION DISCOVERY ULTRA PLUS
"""
STANDARD_WORDS = set(_STANDARD_TEXT.split())
"""Words of the standard, of kernels and of makers, which may hold a short name by chance."""

_IDENTIFYING_TEXT = """
PatientName PatientID OtherPatientIDs PatientBirthName PatientMotherBirthName PatientBirthDate
AccessionNumber ReferringPhysicianName PerformingPhysicianName OperatorsName InstitutionName
InstitutionAddress StationName PatientAddress PatientTelephoneNumbers
NameOfPhysiciansReadingStudy RequestingPhysician StudyID DeviceSerialNumber MedicalRecordLocator
IssuerOfPatientID
"""
IDENTIFYING = _IDENTIFYING_TEXT.split()
