"""Many studies: which jobs there are, how one is done, where they are done, and a journal of all."""
