"""How files of images come: in zips, behind the index of a medium, packed otherwise."""
