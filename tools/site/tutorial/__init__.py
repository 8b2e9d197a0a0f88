"""The tutorial: questions and answers in two languages, with numbers that commands measured."""
