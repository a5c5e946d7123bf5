import { readFileSync } from 'node:fs'

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }

/** The broker's own version, as package.json has it. */
export const ownVersion = version

/**
 * The version that clients are told: that of the HTTP API that is served, by which they gate what
 * they send (contract 5.7, 11.1), with the broker's own as build metadata (semver 2.0.0, 10).
 */
export const apiVersion = `1.20.0+latchkey.${version}`

/** When this version was made; some clients insist on a date (contract 5.7). */
export const buildDate = '2026-11-21T00:00:00Z'
