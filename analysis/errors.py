"""What every part of the analysis says when something cannot be analysed."""


class AnalysisError(ValueError):
    """What is asked for cannot be analysed: not there, or not readable."""
