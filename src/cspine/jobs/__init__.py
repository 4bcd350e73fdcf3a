"""Many studies: which jobs there are, how one is done, who does them, and a journal of all."""
