"""Multiple choice: ARC, HellaSwag, and files of your own."""
