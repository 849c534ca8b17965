"use strict";
// Keeps the answers in this browser, and hands them out as a file. Nothing is sent anywhere.
const quiz = document.querySelector("[data-quiz]");
const place = `cutpoint-quiz-${quiz.dataset.quiz}`;
const questions = [...quiz.querySelectorAll("fieldset")];
const said = document.querySelector("output");
const save = document.querySelector("#save");

const given = () => questions.map((question) => {
  const box = question.querySelector("input:checked");
  return box ? Number(box.value) : null;
});
const tell = () => {
  const done = given().filter((answer) => answer !== null).length;
  said.textContent = `${done} of ${questions.length} answered`;
};
const recall = () => {
  let kept = [];
  try { kept = JSON.parse(localStorage.getItem(place) || "[]"); } catch (error) { kept = []; }
  questions.forEach((question, number) => {
    const box = question.querySelector(`input[value="${Number(kept[number])}"]`);
    if (box && kept[number] !== null) box.checked = true;
  });
};
quiz.addEventListener("change", () => {
  try { localStorage.setItem(place, JSON.stringify(given())); } catch (error) { /* kept here alone */ }
  tell();
});
save.addEventListener("click", () => {
  const text = JSON.stringify({ quiz: quiz.dataset.quiz, answers: given() });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = `answers-${quiz.dataset.quiz}-${Date.now()}.json`;
  link.click();
  URL.revokeObjectURL(link.href);
});
recall();
tell();
