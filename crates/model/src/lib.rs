//! What must be served, in Fairway's own words: plain data, the one matcher, the wire form.
