"""Watches what channels achieve: conversion, traffic, average order, redemption."""
