import { parse } from 'node-cron'
import type { CronFields } from '../src/core/cron.ts'

const lengthMax = 256
/** node-cron writes out a range before it judges it: a long number would fill the memory (SEC-227). */
const longNumber = /\d{3}/

/**
 * Reads a cron expression by node-cron: five fields, or six with seconds first. Only text is
 * looked at, within bounds; nothing is scheduled.
 *
 * @throws Error with a public message that does not repeat the text.
 */
export function parseCron (expression: string): CronFields {
  if (expression.length > lengthMax) throw new Error(`a schedule has at most ${lengthMax} characters`)
  if (longNumber.test(expression)) throw new Error('a schedule has no number of three digits')
  let fields: ReturnType<typeof parse>
  try {
    fields = parse(expression)
  } catch (cause) {
    throw new Error('the schedule is no cron expression', { cause })
  }
  return fields
}
