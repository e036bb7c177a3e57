"""What Faust's processors do with the records they are handed."""
