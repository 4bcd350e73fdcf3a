"""Takes images in, over DICOM and from folders, and queues a series once it is complete."""
