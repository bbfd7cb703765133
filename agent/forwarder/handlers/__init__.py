"""Answers to the messages of one family each.

A handler takes the control state and a decoded request and returns reply payloads. It
checks what the data plane cannot see, changes the data plane, and keeps the record that
GET and DUMP echo. Codes and their order: facts datapath-behaviour.md section 2.
"""
