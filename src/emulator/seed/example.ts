import { readFileSync } from 'node:fs'

/** The seed of an emulator that was given none: a broker's account and two customers'. */
export const exampleSeed: unknown =
  JSON.parse(readFileSync(new URL('./example-seed.json', import.meta.url), 'utf8'))
