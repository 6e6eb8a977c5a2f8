"""Reference strings of certificate ``zk``: files, how they are made and checked, and the keys that follow from them."""
