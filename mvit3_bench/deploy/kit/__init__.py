"""Models for a phone with what checks them there: a folder, and a script that needs adb and the runtime's own runner."""
