/** How the configurations reach the broker. */
export type Flavour = 'http' | 'vault'

/** A configuration below the folder of its flavour. */
export type Persona = 'policy-admin' | 'manager' | 'operator'

/** Values of a configuration's variables; what is not given is as the configuration says. */
export type Variables = Readonly<Record<string, unknown>>

/** How a command ended. */
export interface Run {
  readonly ok: boolean
  /** Of a plan: whether it found anything to do, outputs included. */
  readonly changes: boolean
  readonly outputs: Variables
  /** Why it failed; empty where it did not. */
  readonly error: string
}

/** Runs the configurations of one flavour, each with a state of its own. */
export interface Runs {
  plan (persona: Persona, variables: Variables): Promise<Run>
  apply (persona: Persona, variables: Variables): Promise<Run>
  /** What a configuration's state holds; null where nothing keeps one. */
  state (persona: Persona): Promise<string | null>
  close (): Promise<void>
}
