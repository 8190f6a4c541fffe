"""Who is told what is wrong: incidents, mails and messages that wait, rules of who hears what when."""
