"""How rows are spelled: numbers for ids and texts, the columns of details, and the child rows that a record makes."""
