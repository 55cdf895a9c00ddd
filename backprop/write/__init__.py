"""What is written for learners: the two workbooks, the page, and the pictures."""
