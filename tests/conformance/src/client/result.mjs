/** The result of an answer; an error is thrown. */
export function resultOf(method, answer) {
  if (answer?.error) throw new Error(`${method}: error ${answer.error.code}, ${answer.error.message}`);
  if (answer?.result === undefined) throw new Error(`${method}: no result in ${JSON.stringify(answer)}`);
  return answer.result;
}
