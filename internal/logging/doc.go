// Package logging is the node's log handler: levels by actor that can change
// while the node runs, and the attributes that every line about an event has.
//
//	levels := logging.NewLevels(slog.LevelInfo)
//	levels.Set("engine", slog.LevelDebug)
//	log := slog.New(logging.New(slog.NewJSONHandler(w, nil), levels))
//	log.Warn("block refused", "actor", "chain", "seq", 812, "cause", "811.0")
//
// Guarantees:
//   - A line that has a level of its own actor ("actor" attribute, by With or in the
//     line) is judged by that; any other by the level of all.
//   - A line with "seq" also has "actor", "height" and "cause": what it lacks is
//     added, the height as [Levels.Height] gives it.
//   - A string is cut at [MaxText] bytes, and bytes are not written at all, so that no
//     payload gets into the log by mistake.
package logging
