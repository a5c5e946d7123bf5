import { isDeepStrictEqual } from 'node:util'
import { at, type Answer, type Body } from '../../../src/demo/client.ts'
import type { Variables } from './runs.ts'

/** Asks the broker. @throws unless the answer is a success, or of a status that may be. */
export type Must = (method: string, target: string, asked: Asked, mayBe?: readonly number[]) => Promise<Answer>

export interface Asked {
  readonly token: string | null
  readonly body?: Body
  readonly headers?: Readonly<Record<string, string>>
}

/** What a configuration came to. */
export interface Done {
  /** Whether there was something to write. */
  readonly changes: boolean
  readonly outputs: Variables
}

/** Sends what a configuration sends; `writes`: as an apply, else as a plan. @throws where the run fails. */
export type SendAs = (variables: Variables, writes: boolean) => Promise<Done>

/** What the personas need besides their variables. */
export interface Tools {
  readonly must: Must
  /** Works in AWS with fetched credentials; answers the account. @throws when AWS refuses. */
  readonly workInAws: (keys: Answer) => Promise<string>
}

/** Whether an answer's data has each of some values. */
export function has (answer: Answer, wanted: Body): boolean {
  return Object.entries(wanted).every(([name, value]) => isDeepStrictEqual(at(answer.body, 'data', name), value))
}
