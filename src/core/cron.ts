/** A cron expression's fields: numbers, and the tokens `L`, `L-3`, `15W`, `LW` for days and `5L`, `1#2` for weekdays. */
export interface CronFields {
  readonly second: readonly number[]
  readonly minute: readonly number[]
  readonly hour: readonly number[]
  readonly dayOfMonth: readonly (number | string)[]
  readonly month: readonly number[]
  readonly dayOfWeek: readonly (number | string)[]
}

/** Reads an expression. @throws Error with a public message for what is none. */
export type CronParser = (expression: string) => CronFields
