//! A column-family key-value store on redb that speaks TiKV's raw API (project 1).
