"""Audiences: persons that a saved SELECT names, as of its last refresh, and who of them is told of to others.

    NAME.sql --definition--> Audience --refresh--> snapshot, moves --views--> audiences, audience_history, …
                                                        |
                                                        +--export--> CSV, JSON        +--deliver--> webhook

The file says what an audience is and lives beside the tracking plan; the database knows who was in it when.
"""
