"""What a client asks of many documents: text in, checked plan out; pure."""
