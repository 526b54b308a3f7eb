mod lines;
mod patches;
mod remedies;
