"""What the pages of the board, of approvers and of data scientists show, made from what the keeper answered."""
