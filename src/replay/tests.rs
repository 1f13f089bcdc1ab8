mod compared;
mod facts;
mod files;
mod same;
mod world;
