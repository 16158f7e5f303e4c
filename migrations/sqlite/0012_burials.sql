-- Until when (steady clock) whoever found a node silent has to have given back its runs and sessions; after that the next
-- one may. A node in that state is `lost`, and `dead` once it is done.
ALTER TABLE nodes ADD COLUMN finder_until REAL;
