mod heads;
