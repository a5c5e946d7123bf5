/** Tells of one step; the detail is shown whether it holds or not. */
export type Step = (what: string, holds: boolean, detail: string) => void

/** Prints steps as they come, and counts those that went wrong. */
export function createSteps (): { readonly step: Step, readonly wrong: () => number } {
  let wrong = 0
  return {
    step (what, holds, detail) {
      if (!holds) wrong++
      process.stdout.write(`${holds ? 'ok    ' : 'WRONG '} ${what}: ${detail}\n`)
    },
    wrong: () => wrong
  }
}
