"""Wrong engines, one for each rule of the contracts, and a right one beside them."""
