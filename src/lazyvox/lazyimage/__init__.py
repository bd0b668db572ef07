"""Images as nibabel knows them, lazy: load, slice, save."""
