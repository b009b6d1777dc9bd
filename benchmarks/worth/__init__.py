"What n SAEs buy over one: members, their consensus and rivals of equal member-steps, on data of several kinds."
