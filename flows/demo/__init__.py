"""Made-up customer reviews for trying Temper without any data of one's own."""
