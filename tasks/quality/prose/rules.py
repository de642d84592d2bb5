"""What each rule finds, in the order in which a family asks its rules: its number is its place."""

RULES: dict[str, dict[str, str]] = {
    "gopher": {
        "gopher_few_words": "The text has fewer words than a document of prose.",
        "gopher_many_words": "The text has more words than a document should.",
        "gopher_short_words": "Its words are shorter on average than those of prose.",
        "gopher_long_words": "Its words are longer on average than those of prose.",
        "gopher_hashes": "Too many hash signs a word, as in lists of tags.",
        "gopher_ellipses": "Too many ellipses a word, as in cut-off teasers.",
        "gopher_bullets": "Nearly every line starts with a bullet point, so it is a bare list.",
        "gopher_cut_lines": "Too many lines end with an ellipsis, so the text is cut off.",
        "gopher_not_alphabetic": "Too many words hold no letter, as in tables and code.",
        "gopher_few_stop_words": "Too few of the commonest English words to be English prose.",
    },
    "repetition": {
        "repeated_paragraphs": "Too many of its paragraphs occurred before.",
        "repeated_paragraph_text": "Too much of it is in paragraphs that occurred before.",
        "repeated_lines": "Too many of its lines occurred before.",
        "repeated_line_text": "Too much of it is in lines that occurred before.",
        "top_2_gram": "One pair of words makes up too much of it.",
        "top_3_gram": "One run of three words makes up too much of it.",
        "top_4_gram": "One run of four words makes up too much of it.",
        "repeated_5_grams": "Too much of it is in runs of five words that occurred before.",
        "repeated_6_grams": "Too much of it is in runs of six words that occurred before.",
        "repeated_7_grams": "Too much of it is in runs of seven words that occurred before.",
        "repeated_8_grams": "Too much of it is in runs of eight words that occurred before.",
        "repeated_9_grams": "Too much of it is in runs of nine words that occurred before.",
        "repeated_10_grams": "Too much of it is in runs of ten words that occurred before.",
        "no_text": "There is no text at all.",
    },
    "c4": {
        "c4_lorem_ipsum": "It holds filler text instead of content.",
        "c4_curly_bracket": "It holds a curly bracket, as program code does.",
        "c4_few_sentences": "Too few sentences are left once lines that don't end like one, are "
        "too short, or are about scripts and cookies are taken away.",
    },
    "fineweb": {
        "fineweb_blank": "Every line is blank.",
        "fineweb_unfinished_lines": "Too few lines end like a sentence, as in menus and headings.",
        "fineweb_short_lines": "Too many of its lines are short, as in menus and tables.",
        "fineweb_repeated_lines": "Too many of its characters are in lines that occurred before.",
        "fineweb_list": "Too many line ends for its words, so it is a list.",
    },
    "signs": {
        "many_addresses": "Web addresses make up too much of the text.",
        "few_letters": "Letters and digits make up too little of the text.",
    },
}
"""Family -> rule -> what it finds."""
