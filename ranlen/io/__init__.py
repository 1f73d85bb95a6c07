"""Files in and out: photos with all that they carry, and bytes that are written whole or not at all."""
