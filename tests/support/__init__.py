"""What several tests share. Nothing here imports the code under test, except where a name says so."""
